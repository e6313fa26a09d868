output "repositories" {
  description = "Where images are pushed, by region and image."
  value       = { us = module.services_us.repositories, eu = module.services_eu.repositories }
}

output "kafka" {
  description = "What DUTCHBOOK_KAFKA_US and DUTCHBOOK_KAFKA_EU say."
  value       = { us = module.msk_us.address, eu = module.msk_eu.address }
}

output "tasks_by_hand" {
  description = "The tasks topics and operator, by region, and what `aws ecs run-task` needs for each."
  value       = { us = module.services_us.tasks_by_hand, eu = module.services_eu.tasks_by_hand }
}

output "clusters" {
  description = "The ECS clusters, by region."
  value       = { us = module.services_us.cluster.name, eu = module.services_eu.cluster.name }
}

output "venue_secrets" {
  description = "The secret of each venue's key, by venue: its name, and the one region it is in."
  value = {
    kalshi     = { name = module.secrets_us.secret_name, region = local.regions.us }
    polymarket = { name = module.secrets_eu.secret_name, region = local.regions.eu }
  }
}

output "venue_addresses" {
  description = "The public addresses that each venue sees."
  value       = { kalshi = module.network_us.nat_addresses, polymarket = module.network_eu.nat_addresses }
}

output "lake" {
  description = "The bucket of the lake."
  value       = module.stores.lake
}

output "alarm_topics" {
  description = "Where alarms go, by region."
  value       = { us = module.observability_us.alarm_topic_arn, eu = module.observability_eu.alarm_topic_arn }
}

output "dashboards" {
  description = "The CloudWatch dashboards, by region."
  value       = { us = module.observability_us.dashboard, eu = module.observability_eu.dashboard }
}
