{{- define "capabilities.answers" -}}
{{- $ := index . 0 }}
deployment: {{ $.Capabilities.APIVersions.Has "apps/v1/Deployment" | quote }}
gone: {{ $.Capabilities.APIVersions.Has "policy/v1beta1" | quote }}
{{- end -}}
