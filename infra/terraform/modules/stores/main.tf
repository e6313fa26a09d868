# The stores, all in the us region: PostgreSQL, InfluxDB, and the bucket of the lake.

locals {
  database = "dutchbook"
  user     = "dutchbook"
  organ    = "dutchbook"
  bucket   = "market"

  tls = var.postgres.ca_file == null ? "sslmode=require" : "sslmode=verify-full&sslrootcert=${var.postgres.ca_file}"
}

# --- PostgreSQL -----------------------------------------------------------------------------------------------------

resource "aws_security_group" "postgres" {
  name        = "${var.prefix}-postgres"
  description = "PostgreSQL, from the processes that write it"
  vpc_id      = var.network.vpc_id

  tags = { Name = "${var.prefix}-postgres" }
}

resource "aws_vpc_security_group_ingress_rule" "postgres" {
  for_each = var.client_security_group_ids.postgres

  security_group_id            = aws_security_group.postgres.id
  description                  = each.key
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
}

resource "aws_db_subnet_group" "postgres" {
  name       = "${var.prefix}-postgres"
  subnet_ids = var.network.subnet_ids
}

resource "aws_db_parameter_group" "postgres" {
  name_prefix = "${var.prefix}-postgres${var.postgres.version}-"
  family      = "postgres${var.postgres.version}"

  parameter {
    name  = "rds.force_ssl"
    value = "1"
  }

  lifecycle {
    create_before_destroy = true
  }
}

# Made here, because RDS would make them without a key and without an end.
resource "aws_cloudwatch_log_group" "postgres" {
  for_each = toset(["postgresql", "upgrade"])

  name              = "/aws/rds/instance/${var.prefix}/${each.key}"
  retention_in_days = var.log_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_db_instance" "postgres" {
  identifier     = var.prefix
  engine         = "postgres"
  engine_version = var.postgres.version
  instance_class = var.postgres.class
  db_name        = local.database

  username                      = local.user
  manage_master_user_password   = true
  master_user_secret_kms_key_id = var.kms_key_arn

  storage_type          = "gp3"
  allocated_storage     = var.postgres.storage_gib
  max_allocated_storage = var.postgres.maximum_storage_gib
  storage_encrypted     = true
  kms_key_id            = var.kms_key_arn

  multi_az               = var.postgres.multi_az
  db_subnet_group_name   = aws_db_subnet_group.postgres.name
  vpc_security_group_ids = [aws_security_group.postgres.id]
  publicly_accessible    = false
  parameter_group_name   = aws_db_parameter_group.postgres.name
  ca_cert_identifier     = "rds-ca-rsa2048-g1"

  backup_retention_period   = var.postgres.backup_days
  backup_window             = "06:00-07:00"
  maintenance_window        = "sun:07:30-sun:08:30"
  copy_tags_to_snapshot     = true
  delete_automated_backups  = !var.protected
  deletion_protection       = var.protected
  skip_final_snapshot       = !var.protected
  final_snapshot_identifier = var.protected ? "${var.prefix}-last" : null

  auto_minor_version_upgrade      = true
  allow_major_version_upgrade     = false
  apply_immediately               = !var.protected
  performance_insights_enabled    = true
  performance_insights_kms_key_id = var.kms_key_arn
  enabled_cloudwatch_logs_exports = ["postgresql", "upgrade"]

  depends_on = [aws_cloudwatch_log_group.postgres]
}

# --- InfluxDB -------------------------------------------------------------------------------------------------------

resource "aws_security_group" "influx" {
  name        = "${var.prefix}-influx"
  description = "InfluxDB, from the processes that write it"
  vpc_id      = var.network.vpc_id

  tags = { Name = "${var.prefix}-influx" }
}

resource "aws_vpc_security_group_ingress_rule" "influx" {
  for_each = var.client_security_group_ids.influx

  security_group_id            = aws_security_group.influx.id
  description                  = each.key
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = 8086
  to_port                      = 8086
}

# Timestream asks for the first password, and keeps it in a secret of its own; that secret is what the sink reads. The state
# has this password too: it is the only one that does, and no venue's.
data "aws_secretsmanager_random_password" "influx" {
  password_length     = 40
  exclude_punctuation = true
}

# Encrypted at rest by the service, with a key of its own: it takes no other.
resource "aws_timestreaminfluxdb_db_instance" "this" {
  name              = var.prefix
  db_instance_type  = var.influx.type
  db_storage_type   = "InfluxIOIncludedT1"
  allocated_storage = var.influx.storage_gib
  deployment_type   = var.influx.multi_az ? "WITH_MULTIAZ_STANDBY" : "SINGLE_AZ"

  organization = local.organ
  bucket       = local.bucket
  username     = local.user
  password     = data.aws_secretsmanager_random_password.influx.random_password

  port                   = 8086
  publicly_accessible    = false
  vpc_subnet_ids         = var.influx.multi_az ? var.network.subnet_ids : [var.network.subnet_ids[0]]
  vpc_security_group_ids = [aws_security_group.influx.id]

  lifecycle {
    ignore_changes = [password] # the data source has another one each time
  }
}

# --- the lake -------------------------------------------------------------------------------------------------------

resource "aws_s3_bucket" "lake" {
  bucket        = "${var.prefix}-lake-${var.account_id}"
  force_destroy = !var.protected
}

resource "aws_s3_bucket_public_access_block" "lake" {
  bucket = aws_s3_bucket.lake.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "lake" {
  bucket = aws_s3_bucket.lake.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_versioning" "lake" {
  bucket = aws_s3_bucket.lake.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "lake" {
  bucket = aws_s3_bucket.lake.id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = var.kms_key_arn
    }
  }
}

resource "aws_s3_bucket_policy" "lake" {
  bucket = aws_s3_bucket.lake.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OnlyTls"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = ["arn:aws:s3:::${aws_s3_bucket.lake.bucket}", "arn:aws:s3:::${aws_s3_bucket.lake.bucket}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })

  depends_on = [aws_s3_bucket_public_access_block.lake]
}

resource "aws_s3_bucket_lifecycle_configuration" "lake" {
  bucket = aws_s3_bucket.lake.id

  rule {
    id     = "infrequent-access"
    status = "Enabled"

    filter {}

    transition {
      days          = var.lake.infrequent_access_days
      storage_class = "STANDARD_IA"
    }

    noncurrent_version_expiration {
      noncurrent_days = var.lake.noncurrent_days
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  depends_on = [aws_s3_bucket_versioning.lake]
}
