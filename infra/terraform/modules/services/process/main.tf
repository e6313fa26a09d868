# One process of the pipeline: its task definition, its two roles, its security group, its log, and its service.
#
# The execution role is what ECS itself uses to fetch the image and the secrets before the process starts; the task role is
# what the process may do: speak to Kafka, and nothing else.

locals {
  full_name      = "${var.prefix}-${var.name}"
  execution_role = "${local.full_name}-execution"
  task_role      = "${local.full_name}-task"
  data_directory = "/var/lib/dutchbook"
  health_file    = "/tmp/dutchbook-health"
  scales         = var.definition.service && var.count_of.scaling != null
  log_group      = "/${replace(var.prefix, "-", "/")}/${var.name}"

  environment = merge(var.definition.environment, {
    DUTCHBOOK_DATA_DIR    = local.data_directory
    DUTCHBOOK_HEALTH_FILE = local.health_file
  })

  container = merge(
    {
      name                   = var.name
      image                  = var.definition.image
      command                = var.definition.command
      essential              = true
      user                   = "10001"
      readonlyRootFilesystem = true
      stopTimeout            = 30
      environment            = [for name, value in local.environment : { name = name, value = value }]
      secrets                = [for name, from in var.definition.secrets : { name = name, valueFrom = from }]
      mountPoints = [
        { sourceVolume = "data", containerPath = local.data_directory, readOnly = false },
        { sourceVolume = "tmp", containerPath = "/tmp", readOnly = false },
      ]
      linuxParameters = { initProcessEnabled = true, capabilities = { drop = ["ALL"] } }
      ulimits         = [{ name = "nofile", softLimit = 65536, hardLimit = 65536 }]
      logConfiguration = {
        logDriver = "awslogs"
        options = {
          awslogs-group         = local.log_group
          awslogs-region        = var.region
          awslogs-stream-prefix = "ecs"
        }
      }
    },
    var.definition.service ? {
      healthCheck = { command = ["CMD", "python", "-m", "runtime.health"], interval = 10, timeout = 5, retries = 3, startPeriod = 120 }
    } : {},
  )

  # arn:aws:kafka:<region>:<account>:cluster/<name>/<uuid> names topics and groups as .../topic/<name>/<uuid>/<topic>.
  kafka_statements = flatten([for access in var.kafka : [for statement in [
    {
      Action   = concat(["kafka-cluster:Connect", "kafka-cluster:DescribeCluster"], length(access.write) > 0 ? ["kafka-cluster:WriteDataIdempotently"] : [])
      Resource = [access.cluster_arn]
    },
    {
      Action   = ["kafka-cluster:ReadData", "kafka-cluster:DescribeTopic"]
      Resource = [for topic in access.read : "${replace(access.cluster_arn, ":cluster/", ":topic/")}/${topic}"]
    },
    {
      Action   = ["kafka-cluster:WriteData", "kafka-cluster:DescribeTopic"]
      Resource = [for topic in access.write : "${replace(access.cluster_arn, ":cluster/", ":topic/")}/${topic}"]
    },
    {
      Action   = ["kafka-cluster:CreateTopic", "kafka-cluster:DescribeTopic"]
      Resource = [for topic in access.create : "${replace(access.cluster_arn, ":cluster/", ":topic/")}/${topic}"]
    },
    {
      Action   = ["kafka-cluster:DescribeTopicDynamicConfiguration"]
      Resource = [for topic in access.describe : "${replace(access.cluster_arn, ":cluster/", ":topic/")}/${topic}"]
    },
    {
      Action   = ["kafka-cluster:DescribeGroup", "kafka-cluster:AlterGroup"]
      Resource = [for group in access.groups : "${replace(access.cluster_arn, ":cluster/", ":group/")}/${group}"]
    },
  ] : merge({ Effect = "Allow" }, statement) if length(statement.Resource) > 0]])

  task_policy = { Version = "2012-10-17", Statement = local.kafka_statements }

  execution_policy = {
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Effect   = "Allow"
          Action   = ["ecr:GetAuthorizationToken"]
          Resource = ["*"]
        },
        {
          Effect   = "Allow"
          Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
          Resource = [var.repository_arn]
        },
        {
          Effect   = "Allow"
          Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
          Resource = ["arn:aws:logs:${var.region}:${var.account_id}:log-group:${local.log_group}:*"]
        },
      ],
      [for arn in distinct(var.readable_secrets.secret_arns) : {
        Effect   = "Allow"
        Action   = ["secretsmanager:GetSecretValue"]
        Resource = [arn]
      }],
      [for arn in distinct(var.readable_secrets.key_arns) : {
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = [arn]
        Condition = { StringEquals = { "kms:ViaService" = "secretsmanager.${var.region}.amazonaws.com" } }
      }],
    )
  }

  assumed_by_tasks = {
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = { "aws:SourceAccount" = var.account_id }
        ArnLike      = { "aws:SourceArn" = "arn:aws:ecs:${var.region}:${var.account_id}:*" }
      }
    }]
  }
}

# --- roles --------------------------------------------------------------------------------------------------------

resource "aws_iam_role" "execution" {
  name               = local.execution_role
  assume_role_policy = jsonencode(local.assumed_by_tasks)
}

resource "aws_iam_role_policy" "execution" {
  name   = "start"
  role   = aws_iam_role.execution.id
  policy = jsonencode(local.execution_policy)
}

resource "aws_iam_role" "task" {
  name               = local.task_role
  assume_role_policy = jsonencode(local.assumed_by_tasks)
}

resource "aws_iam_role_policy" "task" {
  name   = "kafka"
  role   = aws_iam_role.task.id
  policy = jsonencode(local.task_policy)
}

# --- network ------------------------------------------------------------------------------------------------------

# No ingress: nothing calls a process.
resource "aws_security_group" "this" {
  name        = local.full_name
  description = "${var.name}: nothing comes in"
  vpc_id      = var.network.vpc_id

  tags = { Name = local.full_name }
}

resource "aws_vpc_security_group_egress_rule" "this" {
  for_each = var.network.egress

  security_group_id            = aws_security_group.this.id
  description                  = each.key
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
  cidr_ipv4                    = each.value.cidr
  referenced_security_group_id = each.value.security_group_id
  prefix_list_id               = each.value.prefix_list_id
}

# --- the task -----------------------------------------------------------------------------------------------------

resource "aws_cloudwatch_log_group" "this" {
  name              = local.log_group
  retention_in_days = var.log.days
  kms_key_id        = var.log.kms_key_arn
}

resource "aws_ecs_task_definition" "this" {
  family                   = local.full_name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.definition.cpu
  memory                   = var.definition.memory
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.task.arn
  container_definitions    = jsonencode([local.container])

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.definition.architecture
  }

  # The root file system is read-only; these two folders are the image's volumes, so that they belong to its user.
  volume {
    name = "data"
  }

  volume {
    name = "tmp"
  }

  depends_on = [aws_cloudwatch_log_group.this, aws_iam_role_policy.execution, aws_iam_role_policy.task]
}

# --- the service: one resource that keeps its count, one that leaves it to the scaling ----------------------------------

resource "aws_ecs_service" "fixed" {
  count = var.definition.service && !local.scales ? 1 : 0

  name                               = var.name
  cluster                            = var.cluster.arn
  task_definition                    = aws_ecs_task_definition.this.arn
  desired_count                      = var.count_of.desired
  launch_type                        = "FARGATE"
  platform_version                   = "1.4.0"
  deployment_minimum_healthy_percent = var.count_of.one_of_a_kind ? 0 : 100
  deployment_maximum_percent         = var.count_of.one_of_a_kind ? 100 : 200
  availability_zone_rebalancing      = "DISABLED" # it would start a second one beside the first
  enable_execute_command             = false
  propagate_tags                     = "SERVICE"

  network_configuration {
    subnets          = var.network.subnet_ids
    security_groups  = [aws_security_group.this.id]
    assign_public_ip = false
  }

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }
}

resource "aws_ecs_service" "scaled" {
  count = local.scales ? 1 : 0

  name                               = var.name
  cluster                            = var.cluster.arn
  task_definition                    = aws_ecs_task_definition.this.arn
  desired_count                      = var.count_of.desired
  launch_type                        = "FARGATE"
  platform_version                   = "1.4.0"
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  enable_execute_command             = false
  propagate_tags                     = "SERVICE"

  network_configuration {
    subnets          = var.network.subnet_ids
    security_groups  = [aws_security_group.this.id]
    assign_public_ip = false
  }

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  lifecycle {
    ignore_changes = [desired_count]
  }
}

resource "aws_appautoscaling_target" "this" {
  count = local.scales ? 1 : 0

  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${var.cluster.name}/${aws_ecs_service.scaled[0].name}"
  min_capacity       = var.count_of.scaling.minimum
  max_capacity       = var.count_of.scaling.maximum
}

resource "aws_appautoscaling_policy" "this" {
  count = local.scales ? 1 : 0

  name               = "${local.full_name}-cpu"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.this[0].service_namespace
  scalable_dimension = aws_appautoscaling_target.this[0].scalable_dimension
  resource_id        = aws_appautoscaling_target.this[0].resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = var.count_of.scaling.cpu_percent
    scale_out_cooldown = 60
    scale_in_cooldown  = 600 # every change moves partitions: not for a moment's quiet

    predefined_metric_specification {
      predefined_metric_type = "ECSServiceAverageCPUUtilization"
    }
  }
}
