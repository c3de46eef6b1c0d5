#!/usr/bin/env bash
# inner.sh DIR: pid 1 of the node. etcd, the control plane, two registries, a name server, containerd
# and a kubelet, in a network of loopback and a bridge from which no route leads out. DIR holds pki/
# and kubeconfig already; DIR/ready appears when the node is Ready.
#
# registry.test:5000 is open, registry.test:5001 wants test / s3cret; both speak plain HTTP.
set -euo pipefail
dir=$1
bin=$KUBEBUILDER_ASSETS
cgroup=$(cat "$dir/cgroup")
node=10.99.0.1       # not on loopback's network: the kubelet refuses such an address
kubernetes=10.0.0.1  # the ClusterIP of the API server, which listens there itself: no kube-proxy
dns=10.0.0.10
runc=${RUNC:-/usr/sbin/runc}
cni=${CNI:-/usr/lib/cni}
export PATH=$bin:/usr/sbin:/sbin:$PATH KUBECONFIG=$dir/kubeconfig
case $(uname -m) in x86_64) arch=amd64 ;; aarch64) arch=arm64 ;; *) echo "no image for $(uname -m)"; exit 1 ;; esac
app=$bin/app-$arch

run() { # NAME COMMAND...: in the background, with a log of its own
  local name=$1
  shift
  "$@" >"$dir/log/$name" 2>&1 </dev/null &
  echo $! >"$dir/pids/$name"
}

waiting_for() { # NAME COMMAND...: until the command succeeds, or the server of that name is gone
  local name=$1
  shift
  for _ in $(seq 600); do
    "$@" >/dev/null 2>&1 && return
    kill -0 "$(cat "$dir/pids/$name")" 2>/dev/null || break
    sleep 0.1
  done
  echo "$name: $* does not succeed"
  tail -20 "$dir/log/$name"
  exit 1
}

for program in "$runc" "$cni/bridge" "$cni/host-local" "$cni/loopback"; do
  [ -x "$program" ] || { echo "$program is missing: apt-get install runc containernetworking-plugins"; exit 1; }
done
mkdir -p "$dir/pids"
trap 'exit 0' TERM
hostname node1
mount --make-rshared /
mount -t tmpfs tmpfs /run
mkdir -p /run/netns /run/lock
# The kubelet writes to fixed paths below /var; here they are over the machine's own.
mkdir -p "$dir/var" "$dir/work"
mount -t overlay overlay -o "lowerdir=/var,upperdir=$dir/var,workdir=$dir/work" /var
mkdir -p /var/lib/kubelet /var/log/pods /var/log/containers
printf '127.0.0.1 localhost\n%s node1 registry.test\n' $node >"$dir/hosts"
mount --bind "$dir/hosts" /etc/hosts
echo "nameserver $dns" >"$dir/resolv.conf"
mount --bind "$dir/resolv.conf" /etc/resolv.conf
ip link set lo up
for address in $node $kubernetes $dns; do ip addr add $address/32 dev lo; done
echo 1 >/proc/sys/net/ipv4/ip_forward

if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
  mkdir -p "/sys/fs/cgroup/$cgroup"
else
  for controller in /sys/fs/cgroup/*/; do
    case $controller in */unified/) continue ;; esac
    mkdir -p "$controller$cgroup"
    case $controller in
      */cpuset/) # nothing runs in a cpuset that is empty
        cat "${controller}cpuset.cpus" >"$controller$cgroup/cpuset.cpus"
        cat "${controller}cpuset.mems" >"$controller$cgroup/cpuset.mems" ;;
    esac
  done
fi

run dns "$app" dns $dns registry.test=$node kubernetes.default.svc.cluster.local=$kubernetes

mkdir -p "$dir/registry"
# shellcheck disable=SC2016 # bcrypt of s3cret, no variables
echo 'test:$2b$12$sTZ6XV4iesn.ApVRqEVa1uJwdr9MEImcH0MPJRqPKQQHUAYQvS2vS' >"$dir/registry/htpasswd"
for port in 5000 5001; do
  cat >"$dir/registry/$port.yml" <<END
version: 0.1
log: {level: info}
storage: {filesystem: {rootdirectory: $dir/registry/$port}, delete: {enabled: true}}
http: {addr: "$node:$port", secret: x}
END
  [ $port = 5000 ] \
    || printf 'auth: {htpasswd: {realm: test, path: %s}}\n' "$dir/registry/htpasswd" >>"$dir/registry/$port.yml"
  # Release 3 sends traces to a server that is not here.
  run registry-$port env OTEL_TRACES_EXPORTER=none registry serve "$dir/registry/$port.yml"
  for host in registry.test:$port $node:$port; do
    mkdir -p "$dir/hosts.d/$host"
    echo "server = \"http://$host\"" >"$dir/hosts.d/$host/hosts.toml"
  done
done

mkdir -p "$dir/cni" "$dir/containerd"
cat >"$dir/cni/10-pods.conflist" <<END
{"cniVersion": "1.0.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false, "hairpinMode": true,
   "ipam": {"type": "host-local", "dataDir": "$dir/cni-ipam",
            "ranges": [[{"subnet": "10.88.0.0/16"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
END
# restrict_oom_score_adj: a machine without CAP_SYS_RESOURCE starts no sandbox otherwise.
cat >"$dir/containerd/config.toml" <<END
version = 3
root = '$dir/containerd/root'
state = '/run/containerd'
imports = []
disabled_plugins = ['io.containerd.nri.v1.nri', 'io.containerd.snapshotter.v1.erofs', 'io.containerd.snapshotter.v1.blockfile', 'io.containerd.tracing.processor.v1.otlp']
[grpc]
  address = '/run/containerd/containerd.sock'
[plugins.'io.containerd.cri.v1.images']
  snapshotter = 'overlayfs'
  [plugins.'io.containerd.cri.v1.images'.pinned_images]
    sandbox = '$node:5000/pause:1'
  [plugins.'io.containerd.cri.v1.images'.registry]
    config_path = '$dir/hosts.d'
[plugins.'io.containerd.cri.v1.runtime']
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
    runtime_type = 'io.containerd.runc.v2'
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
      BinaryName = '$runc'
      SystemdCgroup = false
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ['$cni']
    conf_dir = '$dir/cni'
[plugins.'io.containerd.internal.v1.opt']
  path = '$dir/containerd/opt'
END
run containerd containerd --config "$dir/containerd/config.toml"

etcd=http://127.0.0.1:2379
peer=http://127.0.0.1:2380
run etcd etcd --data-dir "$dir/etcd" --listen-client-urls $etcd --advertise-client-urls $etcd \
  --listen-peer-urls $peer --initial-advertise-peer-urls $peer --initial-cluster default=$peer --unsafe-no-fsync
# aggregator routing: Services of webhooks are reached at their Pods' addresses, without kube-proxy.
run apiserver kube-apiserver --etcd-servers=$etcd --bind-address=0.0.0.0 --advertise-address=$node --secure-port=443 \
  --tls-cert-file="$dir/pki/apiserver.crt" --tls-private-key-file="$dir/pki/apiserver.key" \
  --client-ca-file="$dir/pki/ca.crt" --service-account-issuer=https://kubernetes.default.svc \
  --service-account-key-file="$dir/pki/sa.pub" --service-account-signing-key-file="$dir/pki/sa.key" \
  --service-cluster-ip-range=10.0.0.0/24 --authorization-mode=RBAC --endpoint-reconciler-type=none \
  --allow-privileged --enable-aggregator-routing=true \
  --kubelet-client-certificate="$dir/pki/admin.crt" --kubelet-client-key="$dir/pki/admin.key"
waiting_for apiserver kubectl get --raw=/readyz
waiting_for registry-5000 "$app" push $node:5000 pause 1 $arch="$app"

own=(--kubeconfig "$KUBECONFIG" --authentication-kubeconfig "$KUBECONFIG"
  --authorization-kubeconfig "$KUBECONFIG" --bind-address 127.0.0.1 --leader-elect=false)
run controllers kube-controller-manager "${own[@]}" --use-service-account-credentials=true --flex-volume-plugin-dir "$dir/plugins" \
  --service-account-private-key-file "$dir/pki/sa.key" --root-ca-file "$dir/pki/ca.crt"
run scheduler kube-scheduler "${own[@]}"

# Eviction: "0" is refused for memory, and this machine's disk may be as full as it likes.
cat >"$dir/kubelet.yaml" <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
failSwapOn: false
cgroupDriver: cgroupfs
cgroupRoot: /$cgroup
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
address: $node
healthzBindAddress: 127.0.0.1
authentication: {anonymous: {enabled: false}, webhook: {enabled: false}, x509: {clientCAFile: $dir/pki/ca.crt}}
authorization: {mode: AlwaysAllow}
evictionHard: {memory.available: "1Mi", nodefs.available: "0%", nodefs.inodesFree: "0%", imagefs.available: "0%", imagefs.inodesFree: "0%"}
makeIPTablesUtilChains: false
serializeImagePulls: false
podLogsDir: /var/log/pods
volumePluginDir: $dir/plugins
resolvConf: $dir/resolv.conf
clusterDNS: ["$dns"]
clusterDomain: cluster.local
END
run kubelet kubelet --config "$dir/kubelet.yaml" --kubeconfig "$KUBECONFIG" --root-dir "$dir/kubelet" \
  --cert-dir "$dir/kubelet-pki" --hostname-override node1 --node-ip $node
waiting_for kubelet kubectl wait --for=condition=Ready --timeout=60s node/node1
# A controller makes it, and without it no Pod is admitted.
waiting_for controllers kubectl get serviceaccount default
touch "$dir/ready"
while :; do
  sleep 3600 &
  wait $!
done
