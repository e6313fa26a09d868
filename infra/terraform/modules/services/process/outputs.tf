output "security_group_id" {
  description = "The process's security group: whatever it connects to admits it by this."
  value       = aws_security_group.this.id
}

output "execution_role_arn" {
  description = "The role that fetches its image and secrets."
  value       = "arn:aws:iam::${var.account_id}:role/${local.execution_role}"
}

output "task_role_arn" {
  description = "The role of the process itself."
  value       = "arn:aws:iam::${var.account_id}:role/${local.task_role}"
}

output "task_definition" {
  description = "The task definition's family: the newest revision is taken when it is run by this name."
  value       = aws_ecs_task_definition.this.family
}

output "log_group" {
  description = "Its log."
  value       = aws_cloudwatch_log_group.this.name
}

output "policies" {
  description = "The policies of both roles as planned, as JSON."
  value = {
    task      = aws_iam_role_policy.task.policy
    execution = aws_iam_role_policy.execution.policy
  }
}

output "container" {
  description = "The container as planned."
  value       = jsondecode(aws_ecs_task_definition.this.container_definitions)[0]
}

output "egress" {
  description = "Where its connections may go."
  value = { for name, rule in aws_vpc_security_group_egress_rule.this : name => {
    port = rule.from_port, cidr = rule.cidr_ipv4, security_group_id = rule.referenced_security_group_id
  } }
}

output "service" {
  description = "How its service runs; null for a task that is started by hand."
  value = !var.definition.service ? null : {
    desired_count    = one(concat(aws_ecs_service.fixed[*].desired_count, aws_ecs_service.scaled[*].desired_count))
    minimum_percent  = one(concat(aws_ecs_service.fixed[*].deployment_minimum_healthy_percent, aws_ecs_service.scaled[*].deployment_minimum_healthy_percent))
    maximum_percent  = one(concat(aws_ecs_service.fixed[*].deployment_maximum_percent, aws_ecs_service.scaled[*].deployment_maximum_percent))
    assign_public_ip = one(concat(aws_ecs_service.fixed[*].network_configuration[0].assign_public_ip, aws_ecs_service.scaled[*].network_configuration[0].assign_public_ip))
    rolls_back       = one(concat(aws_ecs_service.fixed[*].deployment_circuit_breaker[0].rollback, aws_ecs_service.scaled[*].deployment_circuit_breaker[0].rollback))
    scaling          = one([for target in aws_appautoscaling_target.this : { minimum = target.min_capacity, maximum = target.max_capacity }])
  }
}
