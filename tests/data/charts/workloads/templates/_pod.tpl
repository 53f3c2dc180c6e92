{{- define "workloads.pod" -}}
metadata:
  labels:
    app: {{ .root.Release.Name }}
    part: {{ .part }}
spec:
  serviceAccountName: {{ .root.Release.Name }}
  {{- with .restart }}
  restartPolicy: {{ . }}
  {{- end }}
  containers:
    - name: {{ .part }}
      image: {{ .root.Values.image }}
      {{- with .root.Values.args }}
      args: {{- toYaml . | nindent 8 }}
      {{- end }}
      resources:
        requests: {cpu: 1m, memory: 1Mi}
{{- end -}}

{{- define "workloads.selector" -}}
matchLabels:
  app: {{ .root.Release.Name }}
  part: {{ .part }}
{{- end -}}
