{{- define "pullproof.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* 40 characters leave room for "-controller" and the Pods' own endings. */}}
{{- define "pullproof.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "pullproof.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "pullproof.selector" -}}
app.kubernetes.io/name: {{ include "pullproof.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "pullproof.labels" -}}
{{ include "pullproof.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "pullproof.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "pullproof.tlsSecret" -}}
{{- default (printf "%s-tls" (include "pullproof.fullname" .)) .Values.certificates.secretName -}}
{{- end -}}

{{- define "pullproof.priorityClass" -}}
{{- default (include "pullproof.fullname" .) .Values.priorityClass.name -}}
{{- end -}}

{{- define "pullproof.hasClientCA" -}}
{{- if or .Values.clientCA.bundle .Values.clientCA.configMap }}true{{ end -}}
{{- end -}}

{{/* What can be seen to be wrong before anything is applied. */}}
{{- define "pullproof.check" -}}
{{- range .Values.strictNamespaces -}}
{{- if or (eq . "kube-system") (eq . $.Release.Namespace) -}}
{{- fail (printf "strictNamespaces: %s is never asked about, or nothing could repair the cluster while pullproof is down" .) -}}
{{- end -}}
{{- if has . $.Values.webhook.excludeNamespaces -}}
{{- fail (printf "strictNamespaces: %s is in webhook.excludeNamespaces too" .) -}}
{{- end -}}
{{- end -}}
{{- if and (eq .Values.certificates.mode "existing") (not (and .Values.certificates.secretName .Values.certificates.caBundle)) -}}
{{- fail "certificates.mode existing needs certificates.secretName and certificates.caBundle" -}}
{{- end -}}
{{- if and .Values.clientCA.bundle .Values.clientCA.configMap -}}
{{- fail "clientCA: give bundle or configMap, not both" -}}
{{- end -}}
{{- if and .Values.clientCA.names (not (include "pullproof.hasClientCA" .)) -}}
{{- fail "clientCA.names is nothing without clientCA.bundle or clientCA.configMap" -}}
{{- end -}}
{{- if and (eq .Values.secrets.access "namespaces") (not .Values.secrets.namespaces) -}}
{{- fail "secrets.access namespaces needs secrets.namespaces" -}}
{{- end -}}
{{- if and (not .Values.priorityClass.create) (not .Values.priorityClass.name) -}}
{{- fail "priorityClass: name one, or let the chart create it" -}}
{{- end -}}
{{- end -}}

{{/* Never asked about, whatever the values say: without these lines a webhook that is down could stop
its own restart. */}}
{{- define "pullproof.excluded" -}}
{{- concat (list "kube-system" .Release.Namespace) .Values.webhook.excludeNamespaces | uniq | toJson -}}
{{- end -}}

{{- define "pullproof.clientConfig" -}}
clientConfig:
  service:
    name: {{ include "pullproof.fullname" .root }}
    namespace: {{ .root.Release.Namespace }}
    path: {{ .path }}
    port: 443
  {{- if eq .root.Values.certificates.mode "existing" }}
  caBundle: {{ .root.Values.certificates.caBundle | b64enc }}
  {{- end }}
admissionReviewVersions: [v1]
matchPolicy: Equivalent
sideEffects: NoneOnDryRun
timeoutSeconds: {{ .root.Values.webhook.timeoutSeconds }}
{{- with .root.Values.webhook.objectSelector }}
{{- if or .matchLabels .matchExpressions }}
objectSelector:
  {{- with .matchLabels }}
  matchLabels: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .matchExpressions }}
  matchExpressions: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Namespaces of the entry that fails open: all but the excluded ones and those of the strict entry. */}}
{{- define "pullproof.openNamespaces" -}}
namespaceSelector:
  {{- with .root.Values.webhook.namespaceSelector.matchLabels }}
  matchLabels: {{- toYaml . | nindent 4 }}
  {{- end }}
  matchExpressions:
    - key: kubernetes.io/metadata.name
      operator: NotIn
      values: {{ concat (include "pullproof.excluded" .root | fromJsonArray) .without | uniq | toJson }}
    {{- with .root.Values.webhook.namespaceSelector.matchExpressions }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{- define "pullproof.rules" -}}
rules:
  - apiGroups: [""]
    apiVersions: [v1]
    operations: [CREATE, UPDATE]
    resources: [pods, pods/ephemeralcontainers]
    scope: Namespaced
  {{- if .Values.webhook.workloads }}
  - apiGroups: [""]
    apiVersions: [v1]
    operations: [CREATE, UPDATE]
    resources: [replicationcontrollers, podtemplates]
    scope: Namespaced
  - apiGroups: [apps]
    apiVersions: [v1]
    operations: [CREATE, UPDATE]
    resources: [deployments, statefulsets, daemonsets, replicasets]
    scope: Namespaced
  - apiGroups: [batch]
    apiVersions: [v1]
    operations: [CREATE, UPDATE]
    resources: [jobs, cronjobs]
    scope: Namespaced
  {{- end }}
{{- end -}}

{{/* What is not worth a call. The program passes over all of it, too; here it costs nothing. */}}
{{- define "pullproof.matchConditions" -}}
matchConditions:
  - name: is-not-going-away
    expression: request.operation != 'UPDATE' || !has(oldObject.metadata.deletionTimestamp)
  # Scale-downs, labels, finalizers and the like: the part that can name an image is as it was.
  - name: may-change-an-image
    expression: >-
      request.operation != 'UPDATE' ||
      (request.kind.kind == 'Pod' ? object.spec != oldObject.spec :
      request.kind.kind == 'PodTemplate' ? object.template != oldObject.template :
      request.kind.kind == 'CronJob' ? object.spec.jobTemplate != oldObject.spec.jobTemplate :
      object.spec.template != oldObject.spec.template)
  # The Deployment or CronJob was judged when it was applied. Pods are always asked about.
  - name: owner-was-not-judged
    expression: >-
      request.kind.kind == 'Pod' || !has(object.metadata.ownerReferences) ||
      !object.metadata.ownerReferences.exists(owner, has(owner.controller) && owner.controller && (
      (request.kind.kind == 'ReplicaSet' && owner.kind == 'Deployment' && owner.apiVersion.startsWith('apps/')) ||
      (request.kind.kind == 'Job' && owner.kind == 'CronJob' && owner.apiVersion.startsWith('batch/'))))
{{- end -}}

{{- define "pullproof.spread" -}}
{{- range $i, $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
- maxSkew: 1
  topologyKey: {{ $key }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "pullproof.selector" $ | nindent 6 }}
      app.kubernetes.io/component: serve
{{- end }}
{{- end -}}
