{{- define "redis.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 53 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "redis.labels" -}}
{{ include "redis.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "redis.selector" -}}
app.kubernetes.io/name: redis
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "redis.secret" -}}
{{- .Values.auth.existingSecret | default (include "redis.fullname" .) -}}
{{- end -}}

{{/* The StatefulSet of one role: (dict "root" $ "role" "master" "settings" .Values.master "replicas" 1) */}}
{{- define "redis.statefulset" -}}
{{- $name := printf "%s-%s" (include "redis.fullname" .root) .role -}}
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {{ $name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "redis.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .role }}
spec:
  replicas: {{ .replicas }}
  serviceName: {{ include "redis.fullname" .root }}-headless
  selector:
    matchLabels:
      {{- include "redis.selector" .root | nindent 6 }}
      app.kubernetes.io/component: {{ .role }}
  template:
    metadata:
      labels:
        {{- include "redis.labels" .root | nindent 8 }}
        app.kubernetes.io/component: {{ .role }}
      annotations:
        checksum/configuration: {{ .root.Values.commonConfiguration | sha256sum }}
    spec:
      serviceAccountName: {{ include "redis.fullname" .root }}
      containers:
        - name: redis
          image: {{ printf "%s/%s:%s" .root.Values.image.registry .root.Values.image.repository .root.Values.image.tag }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          args:
            - /etc/redis/redis.conf
            {{- if ne .role "master" }}
            - --replicaof
            - {{ include "redis.fullname" .root }}-master {{ .root.Values.master.service.port }}
            {{- end }}
          {{- if .root.Values.auth.enabled }}
          env:
            - name: REDIS_PASSWORD
              valueFrom:
                secretKeyRef:
                  name: {{ include "redis.secret" .root }}
                  key: redis-password
          {{- end }}
          ports:
            - name: redis
              containerPort: 6379
          readinessProbe:
            exec:
              command: [redis-cli, ping]
            periodSeconds: 5
          {{- with .settings.resources }}
          resources:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          volumeMounts:
            - name: data
              mountPath: /data
            - name: configuration
              mountPath: /etc/redis
      volumes:
        - name: configuration
          configMap:
            name: {{ include "redis.fullname" .root }}-configuration
        {{- if not .settings.persistence.enabled }}
        - name: data
          emptyDir: {}
        {{- end }}
  {{- if .settings.persistence.enabled }}
  volumeClaimTemplates:
    - metadata:
        name: data
      spec:
        accessModes: [ReadWriteOnce]
        {{- with .settings.persistence.storageClass }}
        storageClassName: {{ . }}
        {{- end }}
        resources:
          requests:
            storage: {{ .settings.persistence.size }}
  {{- end }}
{{- end -}}
