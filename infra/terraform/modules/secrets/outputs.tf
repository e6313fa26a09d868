output "data_key_arn" {
  description = "The key for brokers, stores, logs, images and alarms of this region."
  value       = aws_kms_key.data.arn
}

output "venue_key_arn" {
  description = "The key that the venue's secret is encrypted with."
  value       = aws_kms_key.venue.arn
}

output "secret_arn" {
  description = "The venue's secret."
  value       = aws_secretsmanager_secret.venue.arn
}

output "secret_name" {
  description = "The venue's secret, as `aws secretsmanager put-secret-value --secret-id` takes it."
  value       = aws_secretsmanager_secret.venue.name
}

output "policies" {
  description = "The policies as planned, as JSON: of the venue's secret and of both keys."
  value = {
    secret    = aws_secretsmanager_secret_policy.venue.policy
    venue_key = aws_kms_key.venue.policy
    data_key  = aws_kms_key.data.policy
  }
}

output "replicas" {
  description = "Other regions that hold a copy of the secret: none."
  value       = aws_secretsmanager_secret.venue.replica
}

output "rotation" {
  description = "Whether each key's material is changed every year, and whether it exists in this region alone."
  value = {
    venue = { rotated = aws_kms_key.venue.enable_key_rotation, multi_region = aws_kms_key.venue.multi_region }
    data  = { rotated = aws_kms_key.data.enable_key_rotation, multi_region = aws_kms_key.data.multi_region }
  }
}
