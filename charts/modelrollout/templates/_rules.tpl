{{- /* Written by `make chart` from what routers, kinds of workload and stages say that they do. Not to be edited. */}}

{{- /* What the operator is started without. */}}
{{- define "modelrollout.without" -}}
{{- $without := list }}
{{- range $name := list "gatewayAPI" "istio" "keda" "statefulSets" "secrets" }}
{{- if not (index $.Values.integrations $name) }}{{ $without = append $without $name }}{{ end }}
{{- end }}
{{- join "," $without }}
{{- end }}

{{- define "modelrollout.rules.served" }}
- apiGroups: [modelrollout.dev]
  resources: [modelrollouts]
  verbs: [get, list, watch, patch]
- apiGroups: [modelrollout.dev]
  resources: [modelrollouts/status, modelrollouts/finalizers]
  verbs: [update]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
- apiGroups: [modelrollout.dev]
  resources: [metrictemplates]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [serviceaccounts]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
{{- if .Values.integrations.gatewayAPI }}
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes, grpcroutes]
  verbs: [get, list, watch, create, patch, delete]
{{- end }}
{{- if .Values.integrations.istio }}
- apiGroups: [networking.istio.io]
  resources: [virtualservices]
  verbs: [get, list, watch, create, patch, delete]
{{- end }}
{{- if .Values.integrations.keda }}
- apiGroups: [keda.sh]
  resources: [scaledobjects]
  verbs: [get, list, watch, create, patch, delete]
{{- end }}
{{- if .Values.integrations.statefulSets }}
- apiGroups: [apps]
  resources: [statefulsets]
  verbs: [get, list, watch, create, patch, delete]
{{- end }}
{{- if .Values.integrations.secrets }}
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]
  {{- with .Values.rbac.secretNames }}
  resourceNames: {{ toJson . }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "modelrollout.rules.own" }}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get, list, watch, create, update]
{{- end }}

{{- define "modelrollout.rules.anywhere" }}
- apiGroups: [modelrollout.dev]
  resources: [clustermetrictemplates]
  verbs: [get, list, watch]
{{- if .Values.integrations.gatewayAPI }}
- apiGroups: [gateway.networking.k8s.io]
  resources: [gateways, gatewayclasses]
  verbs: [get, list, watch]
{{- end }}
{{- end }}
