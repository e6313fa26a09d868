# One region's processes on ECS Fargate, from the table in processes.json, and the task that makes the topics.

locals {
  images = toset(["process", "mirrormaker"])

  own_kafka = { port = 9098, cidr = null, security_group_id = var.kafka.security_group_id, prefix_list_id = null }
  https     = { for name, to in var.network.https_egress : "https-${name}" => merge(to, { port = 443 }) }
  internet  = { https-internet = { port = 443, cidr = "0.0.0.0/0", security_group_id = null, prefix_list_id = null } }

  kafka_setting = "DUTCHBOOK_KAFKA_${upper(var.home)}"

  # A key field by field: ECS takes one field of a JSON secret as <arn>:<field>::
  keys = { for name, process in var.processes : name =>
    var.venue_secret.in_use && process.venue == var.venue ? { for setting, field in process.key : setting => "${var.venue_secret.arn}:${field}::" } : {}
  }
}

# --- cluster and images ---------------------------------------------------------------------------------------------

resource "aws_ecs_cluster" "this" {
  name = var.prefix

  setting {
    name  = "containerInsights"
    value = "enabled" # the alarm on missing tasks needs its metrics
  }
}

resource "aws_ecr_repository" "this" {
  for_each = local.images

  name                 = "dutchbook/${each.key}"
  image_tag_mutability = "IMMUTABLE"
  force_delete         = var.deletable

  image_scanning_configuration {
    scan_on_push = true
  }

  encryption_configuration {
    encryption_type = "KMS"
    kms_key         = var.log.kms_key_arn
  }
}

resource "aws_ecr_lifecycle_policy" "this" {
  for_each = aws_ecr_repository.this

  repository = each.value.name
  policy = jsonencode({
    rules = [{
      rulePriority = 1
      description  = "The newest 30 images, for rolling back"
      selection    = { tagStatus = "any", countType = "imageCountMoreThan", countNumber = 30 }
      action       = { type = "expire" }
    }]
  })
}

# --- processes ------------------------------------------------------------------------------------------------------

module "process" {
  source   = "./process"
  for_each = var.processes

  prefix     = var.prefix
  name       = each.key
  region     = var.region
  account_id = var.account_id

  definition = {
    image        = "${aws_ecr_repository.this["process"].repository_url}:${var.images.tag}"
    architecture = var.images.architecture
    command      = each.value.command
    cpu          = each.value.cpu
    memory       = each.value.memory
    service      = true
    environment = merge(concat(
      [{ DUTCHBOOK_REGION = var.home, (local.kafka_setting) = var.kafka.address }, each.value.environment],
      [for store in each.value.stores : var.stores[store].environment],
    )...)
    secrets = merge(concat([local.keys[each.key]], [for store in each.value.stores : var.stores[store].secrets])...)
  }

  count_of = {
    desired       = each.value.desired
    one_of_a_kind = each.value.one_of_a_kind
    scaling       = each.value.scaling
  }

  kafka = [merge(each.value.kafka, { cluster_arn = var.kafka.arn })]

  readable_secrets = {
    secret_arns = concat(
      length(local.keys[each.key]) > 0 ? [var.venue_secret.arn] : [],
      flatten([for store in each.value.stores : var.stores[store].secret_arns]),
    )
    key_arns = concat(
      length(local.keys[each.key]) > 0 ? [var.venue_secret.key_arn] : [],
      flatten([for store in each.value.stores : var.stores[store].key_arns]),
    )
  }

  repository_arn = aws_ecr_repository.this["process"].arn
  cluster        = { arn = aws_ecs_cluster.this.arn, name = aws_ecs_cluster.this.name }

  network = {
    vpc_id     = var.network.vpc_id
    subnet_ids = var.network.subnet_ids
    egress = merge(
      { kafka = local.own_kafka },
      local.https,
      each.value.internet ? local.internet : {},
      { for store in each.value.stores : store => {
        port = var.stores[store].port, cidr = null, security_group_id = var.stores[store].security_group_id, prefix_list_id = null
      } },
    )
  }

  log = var.log
}

# RDS changes the database's password every week, and a task has the one it was started with. So whatever writes a store is
# started afresh once a day, the new task before the old one ends; its offsets are where they belong.

locals {
  renewed = { for name, process in var.processes : name => process if length(process.stores) > 0 && process.desired > 0 }
}

resource "aws_iam_role" "renewal" {
  count = length(local.renewed) > 0 ? 1 : 0

  name = "${var.prefix}-renewal"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "scheduler.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
    }]
  })
}

resource "aws_iam_role_policy" "renewal" {
  count = length(local.renewed) > 0 ? 1 : 0

  name = "start-afresh"
  role = aws_iam_role.renewal[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = "ecs:UpdateService"
      Resource = [for name, process in local.renewed : "arn:aws:ecs:${var.region}:${var.account_id}:service/${var.prefix}/${name}"]
    }]
  })
}

resource "aws_scheduler_schedule" "renewal" {
  for_each = local.renewed

  name                = "${var.prefix}-${each.key}-renewal"
  description         = "${each.key} signs in with the password of the day"
  schedule_expression = "cron(30 9 * * ? *)"

  flexible_time_window {
    mode                      = "FLEXIBLE"
    maximum_window_in_minutes = 15
  }

  target {
    arn      = "arn:aws:scheduler:::aws-sdk:ecs:updateService"
    role_arn = aws_iam_role.renewal[0].arn
    input    = jsonencode({ Cluster = var.prefix, Service = each.key, ForceNewDeployment = true })
  }
}

# --- tasks that are started by hand and end --------------------------------------------------------------------------------

locals {
  by_hand = {
    # Makes the region's topics from schemas/topics.py; what exists is left as it is.
    topics = {
      command = ["dutchbook", "topics", "create", "--region", var.home, "--replication-factor", tostring(var.replication_factor)]
      kafka   = { create = ["*"], describe = ["*"] }
    }
    # Looks into topics and, in the us region, publishes groups; the command is given when it is started.
    operator = {
      command = ["dutchbook", "topics", "list"]
      kafka = {
        read   = ["*"]
        write  = var.home == "us" ? ["group"] : []
        groups = ["commit-nothing", "dutchbook-decode", "dutchbook-range-*", "dutchbook-reader"]
      }
    }
  }
}

module "by_hand" {
  source   = "./process"
  for_each = local.by_hand

  prefix     = var.prefix
  name       = each.key
  region     = var.region
  account_id = var.account_id

  definition = {
    image        = "${aws_ecr_repository.this["process"].repository_url}:${var.images.tag}"
    architecture = var.images.architecture
    command      = each.value.command
    cpu          = 256
    memory       = 512
    service      = false
    environment  = { DUTCHBOOK_REGION = var.home, (local.kafka_setting) = var.kafka.address }
    secrets      = {}
  }

  count_of         = { desired = 0, one_of_a_kind = true }
  kafka            = [merge(each.value.kafka, { cluster_arn = var.kafka.arn })]
  readable_secrets = { secret_arns = [], key_arns = [] }
  repository_arn   = aws_ecr_repository.this["process"].arn
  cluster          = { arn = aws_ecs_cluster.this.arn, name = aws_ecs_cluster.this.name }

  network = {
    vpc_id     = var.network.vpc_id
    subnet_ids = var.network.subnet_ids
    egress     = merge({ kafka = local.own_kafka }, local.https)
  }

  log = var.log
}
