output "for_services" {
  description = "What the processes that write each store need: where it listens, settings, and which secrets they come from."
  value = {
    postgres = {
      security_group_id = aws_security_group.postgres.id
      port              = 5432
      environment = {
        DUTCHBOOK_POSTGRES_DSN = "postgresql://${local.user}@${aws_db_instance.postgres.address}:5432/${local.database}?${local.tls}"
      }
      secrets     = { DUTCHBOOK_POSTGRES_PASSWORD = "${aws_db_instance.postgres.master_user_secret[0].secret_arn}:password::" }
      secret_arns = [aws_db_instance.postgres.master_user_secret[0].secret_arn]
      key_arns    = [var.kms_key_arn]
    }
    influx = {
      security_group_id = aws_security_group.influx.id
      port              = 8086
      environment = {
        DUTCHBOOK_INFLUX_URL    = "https://${aws_timestreaminfluxdb_db_instance.this.endpoint}:8086"
        DUTCHBOOK_INFLUX_ORG    = local.organ
        DUTCHBOOK_INFLUX_BUCKET = local.bucket
      }
      secrets = {
        DUTCHBOOK_INFLUX_USERNAME = "${aws_timestreaminfluxdb_db_instance.this.influx_auth_parameters_secret_arn}:username::"
        DUTCHBOOK_INFLUX_PASSWORD = "${aws_timestreaminfluxdb_db_instance.this.influx_auth_parameters_secret_arn}:password::"
      }
      secret_arns = [aws_timestreaminfluxdb_db_instance.this.influx_auth_parameters_secret_arn]
      key_arns    = []
    }
  }
}

output "lake" {
  description = "The bucket of the lake."
  value       = aws_s3_bucket.lake.bucket
}

output "postgres" {
  description = "The database as planned: identifier, storage, protection, encryption, reach."
  value = {
    identifier          = aws_db_instance.postgres.identifier
    storage_gib         = aws_db_instance.postgres.allocated_storage
    encrypted           = aws_db_instance.postgres.storage_encrypted
    key                 = aws_db_instance.postgres.kms_key_id
    publicly_accessible = aws_db_instance.postgres.publicly_accessible
    multi_az            = aws_db_instance.postgres.multi_az
    deletion_protection = aws_db_instance.postgres.deletion_protection
    skip_final_snapshot = aws_db_instance.postgres.skip_final_snapshot
    backup_days         = aws_db_instance.postgres.backup_retention_period
    managed_password    = aws_db_instance.postgres.manage_master_user_password
    insights            = aws_db_instance.postgres.performance_insights_enabled
    parameters          = { for parameter in aws_db_parameter_group.postgres.parameter : parameter.name => parameter.value }
  }
}

output "influx" {
  description = "InfluxDB as planned: reach and standby."
  value = {
    publicly_accessible = aws_timestreaminfluxdb_db_instance.this.publicly_accessible
    deployment_type     = aws_timestreaminfluxdb_db_instance.this.deployment_type
  }
}

output "lake_guards" {
  description = "How the lake is closed, as planned: public access, versions, encryption, policy as JSON, and whether it goes with what is in it."
  value = {
    block_public_acls       = aws_s3_bucket_public_access_block.lake.block_public_acls
    block_public_policy     = aws_s3_bucket_public_access_block.lake.block_public_policy
    ignore_public_acls      = aws_s3_bucket_public_access_block.lake.ignore_public_acls
    restrict_public_buckets = aws_s3_bucket_public_access_block.lake.restrict_public_buckets
    versioning              = aws_s3_bucket_versioning.lake.versioning_configuration[0].status
    encryption              = one(aws_s3_bucket_server_side_encryption_configuration.lake.rule).apply_server_side_encryption_by_default[0].sse_algorithm
    key                     = one(aws_s3_bucket_server_side_encryption_configuration.lake.rule).apply_server_side_encryption_by_default[0].kms_master_key_id
    policy                  = aws_s3_bucket_policy.lake.policy
    force_destroy           = aws_s3_bucket.lake.force_destroy
    transitions             = [for move in aws_s3_bucket_lifecycle_configuration.lake.rule[0].transition : { days = move.days, storage_class = move.storage_class }]
  }
}

output "ingress" {
  description = "Every rule of the stores' security groups, for tests."
  value = [for rule in concat(values(aws_vpc_security_group_ingress_rule.postgres), values(aws_vpc_security_group_ingress_rule.influx)) : {
    cidr = rule.cidr_ipv4, security_group_id = rule.referenced_security_group_id, ports = [rule.from_port, rule.to_port]
  }]
}
