{{- define "hooks.job" -}}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .root.Release.Name }}-{{ .event }}
  annotations:
    helm.sh/hook: {{ .event }}
    {{- with .weight }}
    helm.sh/hook-weight: {{ . | quote }}
    {{- end }}
    {{- with .policy }}
    helm.sh/hook-delete-policy: {{ . }}
    {{- end }}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers:
        - name: {{ .event }}
          image: {{ .root.Values.image }}
          {{- if eq .event .root.Values.failing }}
          command: [sh, -c, "exit 1"]
          {{- end }}
{{- end -}}
