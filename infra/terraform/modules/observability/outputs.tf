output "alarm_topic_arn" {
  description = "The SNS topic that alarms go to."
  value       = aws_sns_topic.alarms.arn
}

output "alarm_topic_key" {
  description = "The key that the topic is encrypted with."
  value       = aws_sns_topic.alarms.kms_master_key_id
}

output "alarms" {
  description = "Every alarm by name, without the prefix, and whether somebody hears of it."
  value = merge(
    { for name, alarm in aws_cloudwatch_metric_alarm.this : name => length(alarm.alarm_actions) > 0 },
    { for name, alarm in aws_cloudwatch_metric_alarm.tasks : "tasks-${name}" => alarm.actions_enabled && length(alarm.alarm_actions) > 0 },
    { for alarm in aws_cloudwatch_metric_alarm.mirror : "mirror-stands-still" => alarm.actions_enabled && length(alarm.alarm_actions) > 0 },
  )
}

output "dashboard" {
  description = "The dashboard's name."
  value       = aws_cloudwatch_dashboard.this.dashboard_name
}
