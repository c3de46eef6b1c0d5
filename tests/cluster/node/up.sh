#!/usr/bin/env bash
# up.sh DIR: a whole node in namespaces of its own (inner.sh) until standard input ends; then all of
# it is ended, and DIR and its cgroups are removed. DIR/pid is the node's pid 1 as seen from here.
# Needs root; nothing of the machine is changed but the cgroup, and no packet leaves it.
set -u
dir=$1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cgroup=pullproof-node-$$
echo "$cgroup" >"$dir/cgroup"

unshare --net --mount --uts --pid --fork --kill-child=SIGKILL --mount-proc --propagation private \
  /bin/bash "$here/inner.sh" "$dir" >"$dir/log/node" 2>&1 </dev/null &
outer=$!
inner=
while [ -z "$inner" ] && kill -0 "$outer" 2>/dev/null; do
  # unshare's only child is pid 1 of the new namespace.
  inner=$(cat "/proc/$outer/task/$outer/children" 2>/dev/null)
  inner=${inner%% *}
done
echo "$inner" >"$dir/pid.new"
mv "$dir/pid.new" "$dir/pid"

cat >/dev/null
# With its pid 1 the kernel ends every process of the namespace; unshare itself ignores SIGTERM.
kill -9 "$inner" 2>/dev/null
wait
for _ in 1 2 3 4 5 6 7 8 9 10; do
  left=$(ls -d /sys/fs/cgroup/"$cgroup" /sys/fs/cgroup/*/"$cgroup" 2>/dev/null)
  [ -n "$left" ] || break
  for folder in $left; do find "$folder" -depth -type d -exec rmdir {} + 2>/dev/null; done
  sleep 0.1
done
rm -rf "$dir"
