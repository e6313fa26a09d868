# What is watched in one region, and who hears of it.

locals {
  broker_ids = [for number in range(1, var.kafka.brokers + 1) : tostring(number)]
  namespace  = "${var.prefix}/logs"

  # By name: what is said, metric, dimensions, statistic, comparison, threshold, minutes that must be so, and what no data means.
  alarms = merge(
    {
      kafka-no-controller = {
        says      = "The Kafka cluster has no active controller."
        namespace = "AWS/Kafka", metric = "ActiveControllerCount", dimensions = { "Cluster Name" = var.kafka.name }
        statistic = "Maximum", compare = "LessThanThreshold", threshold = 1, minutes = 5, missing = "breaching"
      }
      kafka-offline-partitions = {
        says      = "Partitions have no leader: they can be neither written nor read."
        namespace = "AWS/Kafka", metric = "OfflinePartitionsCount", dimensions = { "Cluster Name" = var.kafka.name }
        statistic = "Maximum", compare = "GreaterThanThreshold", threshold = 0, minutes = 2, missing = "missing"
      }
    },
    var.kafka.enhanced_monitoring == "DEFAULT" ? {} : { for id in local.broker_ids : "kafka-under-replicated-${id}" => {
      says      = "Partitions of broker ${id} lack copies; usual while a broker restarts, not for long."
      namespace = "AWS/Kafka", metric = "UnderReplicatedPartitions", dimensions = { "Cluster Name" = var.kafka.name, "Broker ID" = id }
      statistic = "Maximum", compare = "GreaterThanThreshold", threshold = 0, minutes = 15, missing = "missing"
    } },
    { for id in local.broker_ids : "kafka-cpu-${id}" => {
      says      = "Broker ${id} has less than 40 % of its processors idle: not enough to take over when another restarts."
      namespace = "AWS/Kafka", metric = "CpuIdle", dimensions = { "Cluster Name" = var.kafka.name, "Broker ID" = id }
      statistic = "Average", compare = "LessThanThreshold", threshold = 40, minutes = 15, missing = "missing"
    } },
    var.kafka.has_storage ? { for id in local.broker_ids : "kafka-disk-${id}" => {
      says      = "The disk of broker ${id} is more than 85 % full, although it grows at 60 %."
      namespace = "AWS/Kafka", metric = "KafkaDataLogsDiskUsed", dimensions = { "Cluster Name" = var.kafka.name, "Broker ID" = id }
      statistic = "Maximum", compare = "GreaterThanThreshold", threshold = 85, minutes = 5, missing = "missing"
    } } : {},
    { for zone, id in var.nat_gateway_ids : "nat-ports-${zone}" => {
      says      = "The NAT gateway in ${zone} has no ports left for new connections."
      namespace = "AWS/NATGateway", metric = "ErrorPortAllocation", dimensions = { NatGatewayId = id }
      statistic = "Sum", compare = "GreaterThanThreshold", threshold = 0, minutes = 5, missing = "notBreaching"
    } },
    { for zone, id in var.nat_gateway_ids : "nat-drops-${zone}" => {
      says      = "The NAT gateway in ${zone} drops packets."
      namespace = "AWS/NATGateway", metric = "PacketsDropCount", dimensions = { NatGatewayId = id }
      statistic = "Sum", compare = "GreaterThanThreshold", threshold = 100, minutes = 5, missing = "notBreaching"
    } },
    var.database == null ? {} : {
      postgres-cpu = {
        says      = "PostgreSQL is busy more than 80 % of the time."
        namespace = "AWS/RDS", metric = "CPUUtilization", dimensions = { DBInstanceIdentifier = var.database.identifier }
        statistic = "Average", compare = "GreaterThanThreshold", threshold = 80, minutes = 15, missing = "missing"
      }
      postgres-storage = {
        says      = "Less than a fifth of PostgreSQL's first storage is free, although it grows."
        namespace = "AWS/RDS", metric = "FreeStorageSpace", dimensions = { DBInstanceIdentifier = var.database.identifier }
        statistic = "Minimum", compare = "LessThanThreshold", threshold = var.database.storage_gib * 1073741824 / 5, minutes = 10, missing = "missing"
      }
      postgres-connections = {
        says      = "PostgreSQL has more than 50 connections, where the sinks need a handful."
        namespace = "AWS/RDS", metric = "DatabaseConnections", dimensions = { DBInstanceIdentifier = var.database.identifier }
        statistic = "Maximum", compare = "GreaterThanThreshold", threshold = 50, minutes = 5, missing = "missing"
      }
    },
    { for service, group in var.services.log_groups : "dead-letters-${service}" => {
      says      = "${service} has diverted records that it could not process; see its log and the topics deadletter.*"
      namespace = local.namespace, metric = "dead-letters-${service}", dimensions = {}
      statistic = "Sum", compare = "GreaterThanThreshold", threshold = 0, minutes = 5, missing = "notBreaching"
    } },
    { for service, group in var.services.log_groups : "refused-password-${service}" => {
      says      = "${service} is refused by its store: the password has changed since it was started. Start it afresh (README.md)."
      namespace = local.namespace, metric = "refused-password-${service}", dimensions = {}
      statistic = "Sum", compare = "GreaterThanThreshold", threshold = 0, minutes = 5, missing = "notBreaching"
    } if startswith(service, "sink-") },
    { for service, group in var.services.log_groups : "cannot-go-on-${service}" => {
      says      = "${service} has ended because it could not go on; its log says why."
      namespace = local.namespace, metric = "cannot-go-on-${service}", dimensions = {}
      statistic = "Sum", compare = "GreaterThanThreshold", threshold = 0, minutes = 1, missing = "notBreaching"
    } },
  )

  # Log lines by what they mean. A producer says "producer ends", the others that they cannot go on or have stopped.
  said = {
    dead-letters     = "\"dead letter\""
    refused-password = "\"password authentication failed\""
    cannot-go-on     = "?\"cannot go on\" ?\"producer ends\" ?\"sink stopped\" ?\": ending\""
  }
  filters = { for pair in setproduct(keys(local.said), keys(var.services.log_groups)) :
    "${pair[0]}-${pair[1]}" => { pattern = local.said[pair[0]], log_group = var.services.log_groups[pair[1]] }
  }

  watches_mirror = contains(["PER_TOPIC_PER_BROKER", "PER_TOPIC_PER_PARTITION"], var.kafka.enhanced_monitoring)
  mirrored_beat  = "${var.kafka.other_alias}.heartbeat"
}

# --- who hears of it ---------------------------------------------------------------------------------------------------

resource "aws_sns_topic" "alarms" {
  name              = "${var.prefix}-alarms"
  kms_master_key_id = var.kms_key_arn
}

resource "aws_sns_topic_policy" "alarms" {
  arn = aws_sns_topic.alarms.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Alarms"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.alarms.arn
        Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
      },
      {
        Sid       = "OnlyTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.alarms.arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

resource "aws_sns_topic_subscription" "email" {
  for_each = toset(var.emails)

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = each.key
}

# --- what the logs say ---------------------------------------------------------------------------------------------------

resource "aws_cloudwatch_log_metric_filter" "this" {
  for_each = local.filters

  name           = each.key
  log_group_name = each.value.log_group
  pattern        = each.value.pattern

  metric_transformation {
    namespace = local.namespace
    name      = each.key
    value     = "1"
  }
}

# --- alarms --------------------------------------------------------------------------------------------------------------

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${var.prefix}-${each.key}"
  alarm_description   = each.value.says
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  comparison_operator = each.value.compare
  threshold           = each.value.threshold
  period              = 60
  evaluation_periods  = each.value.minutes
  datapoints_to_alarm = each.value.statistic == "Sum" ? 1 : each.value.minutes
  treat_missing_data  = each.value.missing
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_cloudwatch_metric_alarm" "tasks" {
  for_each = var.services.log_groups

  alarm_name          = "${var.prefix}-tasks-${each.key}"
  actions_enabled     = var.running
  alarm_description   = "Fewer tasks of ${each.key} run than should."
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  evaluation_periods  = 3
  treat_missing_data  = "breaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]

  metric_query {
    id          = "missing"
    expression  = "desired - running"
    label       = "tasks missing"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = { desired = "DesiredTaskCount", running = "RunningTaskCount" }

    content {
      id = metric_query.key

      metric {
        namespace   = "ECS/ContainerInsights"
        metric_name = metric_query.value
        dimensions  = { ClusterName = var.services.cluster, ServiceName = each.key }
        stat        = "Average"
        period      = 60
      }
    }
  }
}

# MirrorMaker 2 gives CloudWatch no lag. But every process beats once a second, so the mirrored beats stop when it does.
resource "aws_cloudwatch_metric_alarm" "mirror" {
  count = local.watches_mirror ? 1 : 0

  alarm_name          = "${var.prefix}-mirror-stands-still"
  actions_enabled     = var.running
  alarm_description   = "Nothing has come through MirrorMaker 2 into ${local.mirrored_beat} for two minutes."
  comparison_operator = "LessThanThreshold"
  threshold           = 0.1
  evaluation_periods  = 2
  treat_missing_data  = "breaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]

  metric_query {
    id          = "rate"
    expression  = join(" + ", [for id in local.broker_ids : "FILL(broker${id}, 0)"])
    label       = "records a second"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = local.broker_ids

    content {
      id = "broker${metric_query.value}"

      metric {
        namespace   = "AWS/Kafka"
        metric_name = "MessagesInPerSec"
        dimensions  = { "Cluster Name" = var.kafka.name, "Broker ID" = metric_query.value, Topic = local.mirrored_beat }
        stat        = "Average"
        period      = 60
      }
    }
  }
}

# --- dashboard -----------------------------------------------------------------------------------------------------------

locals {
  widgets = concat(
    [
      {
        title   = "Kafka: bytes in per second, by broker"
        metrics = [for id in local.broker_ids : ["AWS/Kafka", "BytesInPerSec", "Cluster Name", var.kafka.name, "Broker ID", id]]
      },
      {
        title   = "Kafka: processors idle, percent"
        metrics = [for id in local.broker_ids : ["AWS/Kafka", "CpuIdle", "Cluster Name", var.kafka.name, "Broker ID", id]]
      },
      {
        title   = "Tasks running"
        metrics = [for service in keys(var.services.log_groups) : ["ECS/ContainerInsights", "RunningTaskCount", "ClusterName", var.services.cluster, "ServiceName", service]]
      },
      {
        title   = "Tasks: processors, units used"
        metrics = [for service in keys(var.services.log_groups) : ["ECS/ContainerInsights", "CpuUtilized", "ClusterName", var.services.cluster, "ServiceName", service]]
      },
      {
        title   = "Dead letters"
        metrics = [for service in keys(var.services.log_groups) : [local.namespace, "dead-letters-${service}"]]
      },
    ],
    var.database == null ? [] : [
      {
        title   = "PostgreSQL: processors, percent"
        metrics = [["AWS/RDS", "CPUUtilization", "DBInstanceIdentifier", var.database.identifier]]
      },
    ],
  )
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.prefix
  dashboard_body = jsonencode({
    widgets = [for number, widget in local.widgets : {
      type   = "metric"
      x      = (number % 2) * 12
      y      = floor(number / 2) * 6
      width  = 12
      height = 6
      properties = {
        title   = widget.title
        region  = var.region
        metrics = widget.metrics
        period  = 60
        stat    = startswith(widget.title, "Dead") ? "Sum" : "Average"
      }
    }]
  })
}

# --- money ---------------------------------------------------------------------------------------------------------------

resource "aws_budgets_budget" "month" {
  count = var.monthly_budget_dollars > 0 && length(var.emails) > 0 ? 1 : 0

  name         = "${var.prefix}-month"
  budget_type  = "COST"
  time_unit    = "MONTHLY"
  limit_amount = tostring(var.monthly_budget_dollars)
  limit_unit   = "USD"

  dynamic "notification" {
    for_each = { ACTUAL = 80, FORECASTED = 100 }

    content {
      notification_type          = notification.key
      threshold                  = notification.value
      threshold_type             = "PERCENTAGE"
      comparison_operator        = "GREATER_THAN"
      subscriber_email_addresses = var.emails
    }
  }
}
