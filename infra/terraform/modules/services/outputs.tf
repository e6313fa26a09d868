output "cluster" {
  description = "The ECS cluster."
  value = {
    arn  = aws_ecs_cluster.this.arn
    name = aws_ecs_cluster.this.name
  }
}

output "repositories" {
  description = "Where images are pushed, by image."
  value       = { for name, repository in aws_ecr_repository.this : name => { url = repository.repository_url, arn = repository.arn } }
}

output "processes" {
  description = "Every service as planned: roles, policies, container, network, counts, log."
  value       = module.process
}

output "tasks_by_hand" {
  description = "The tasks topics (makes the topics) and operator (looks into them, publishes groups), and what `aws ecs run-task` needs for each."
  value = { for name, task in module.by_hand : name => {
    cluster           = aws_ecs_cluster.this.name
    task_definition   = task.task_definition
    subnet_ids        = var.network.subnet_ids
    security_group_id = task.security_group_id
    log_group         = task.log_group
    command           = task.container.command
  } }
}

output "by_hand" {
  description = "The same tasks as planned, for tests: policies, container, network."
  value       = module.by_hand
}

output "security_group_ids" {
  description = "Of every service and of the tasks that are started by hand: the cluster admits these."
  value       = { for name, process in merge(module.process, module.by_hand) : name => process.security_group_id }
}

output "secret_reader_arns" {
  description = "Execution roles of the venue's own processes: whom the venue's secret admits. By name, because the secret is there before them."
  value       = [for name, process in var.processes : "arn:aws:iam::${var.account_id}:role/${var.prefix}-${name}-execution" if process.venue == var.venue]
}
