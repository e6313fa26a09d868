# One region's keys: the venue's own secret, which nothing outside its jurisdiction reads, and the key for everything else.
#
# The secret's value never passes through Terraform: an administrator puts it there (see README.md). Reading is denied to
# whoever is not one of the named roles, and to those from anywhere but the region's own network; an Allow elsewhere does not
# help. What is left to the account is managing it: looking at its policy, changing it, deleting it within the recovery time.

locals {
  account = "arn:aws:iam::${var.account_id}:root"

  outside_network = { for operator, addresses in {
    StringNotEquals = { "aws:SourceVpc" = [var.network.vpc_id] }
    NotIpAddress    = { "aws:SourceIp" = [for address in var.network.nat_addresses : "${address}/32"] }
  } : operator => addresses if operator == (var.network.interface_endpoints ? "StringNotEquals" : "NotIpAddress") }

  secret_policy = {
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "OnlyItsOwnProcessesRead"
        Effect    = "Deny"
        Principal = "*"
        Action    = "secretsmanager:GetSecretValue"
        Resource  = "*"
        Condition = { ArnNotEquals = { "aws:PrincipalArn" = var.reader_arns } }
      },
      {
        Sid       = "OnlyFromItsOwnNetwork"
        Effect    = "Deny"
        Principal = "*"
        Action    = "secretsmanager:GetSecretValue"
        Resource  = "*"
        Condition = local.outside_network
      },
      {
        Sid       = "OnlyInItsOwnRegion"
        Effect    = "Deny"
        Principal = "*"
        Action    = "secretsmanager:*"
        Resource  = "*"
        Condition = { StringNotEquals = { "aws:RequestedRegion" = var.region } }
      },
      {
        Sid       = "NoReplicas"
        Effect    = "Deny"
        Principal = "*"
        Action    = "secretsmanager:ReplicateSecretToRegions"
        Resource  = "*"
      },
      {
        Sid       = "OnlyAdministratorsWrite"
        Effect    = "Deny"
        Principal = "*"
        Action = [
          "secretsmanager:PutSecretValue",
          "secretsmanager:UpdateSecret",
          "secretsmanager:UpdateSecretVersionStage",
          "secretsmanager:RotateSecret",
          "secretsmanager:DeleteSecret",
        ]
        Resource  = "*"
        Condition = { ArnNotEquals = { "aws:PrincipalArn" = var.administrator_arns } }
      },
    ]
  }

  # Administering the key is the account's; using it is not, not even the account's root user's.
  venue_key_policy = {
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Administration"
        Effect    = "Allow"
        Principal = { AWS = local.account }
        Action = [
          "kms:CancelKeyDeletion", "kms:CreateAlias", "kms:DeleteAlias", "kms:Describe*", "kms:DisableKey", "kms:EnableKey",
          "kms:EnableKeyRotation", "kms:Get*", "kms:List*", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:TagResource",
          "kms:UntagResource", "kms:UpdateAlias", "kms:UpdateKeyDescription",
        ]
        Resource = "*"
      },
      {
        Sid       = "ItsOwnProcessesReadTheSecret"
        Effect    = "Allow"
        Principal = { AWS = local.account }
        Action    = "kms:Decrypt"
        Resource  = "*"
        Condition = {
          ArnEquals    = { "aws:PrincipalArn" = var.reader_arns }
          StringEquals = { "kms:ViaService" = "secretsmanager.${var.region}.amazonaws.com" }
        }
      },
      {
        Sid       = "AdministratorsWriteTheSecret"
        Effect    = "Allow"
        Principal = { AWS = local.account }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = "*"
        Condition = {
          ArnEquals    = { "aws:PrincipalArn" = var.administrator_arns }
          StringEquals = { "kms:ViaService" = "secretsmanager.${var.region}.amazonaws.com" }
        }
      },
    ]
  }

  data_key_policy = {
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Account"
        Effect    = "Allow"
        Principal = { AWS = local.account }
        Action    = "kms:*"
        Resource  = "*"
      },
      {
        Sid       = "Logs"
        Effect    = "Allow"
        Principal = { Service = "logs.${var.region}.amazonaws.com" }
        Action    = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"]
        Resource  = "*"
        Condition = { ArnLike = { "kms:EncryptionContext:aws:logs:arn" = "arn:aws:logs:${var.region}:${var.account_id}:log-group:*" } }
      },
      {
        Sid       = "Alarms"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey*"]
        Resource  = "*"
        Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
      },
    ]
  }
}

resource "aws_kms_key" "venue" {
  description             = "${var.name}: the venue's secret"
  enable_key_rotation     = true
  deletion_window_in_days = max(7, var.recovery_days)
  multi_region            = false
  policy                  = jsonencode(local.venue_key_policy)
}

resource "aws_kms_alias" "venue" {
  name          = "alias/${var.name}-venue"
  target_key_id = aws_kms_key.venue.key_id
}

resource "aws_kms_key" "data" {
  description             = "${var.name}: brokers, stores, logs, images, alarms"
  enable_key_rotation     = true
  deletion_window_in_days = max(7, var.recovery_days)
  multi_region            = false
  policy                  = jsonencode(local.data_key_policy)
}

resource "aws_kms_alias" "data" {
  name          = "alias/${var.name}-data"
  target_key_id = aws_kms_key.data.key_id
}

# Without a value: see README.md for how it gets one.
resource "aws_secretsmanager_secret" "venue" {
  name                    = var.secret_name
  description             = "The venue's key. It stays in ${var.region}."
  kms_key_id              = aws_kms_key.venue.arn
  recovery_window_in_days = var.recovery_days
}

resource "aws_secretsmanager_secret_policy" "venue" {
  secret_arn          = aws_secretsmanager_secret.venue.arn
  policy              = jsonencode(local.secret_policy)
  block_public_policy = true
}
