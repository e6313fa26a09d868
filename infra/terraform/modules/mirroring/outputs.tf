output "processes" {
  description = "Both MirrorMakers as planned, by the region they run in and write to."
  value       = { us = module.us, eu = module.eu }
}

output "security_group_ids" {
  description = "Their security groups, by region: the cluster beside each admits it."
  value       = { us = module.us.security_group_id, eu = module.eu.security_group_id }
}

output "routes" {
  description = "Where the peering leads, by region, as planned: sorted destinations."
  value = {
    us = sort(distinct(concat([for route in aws_route.us_mirror : route.destination_cidr_block], [aws_route.us_data.destination_cidr_block])))
    eu = sort(distinct(concat([for route in aws_route.eu_mirror : route.destination_cidr_block], [aws_route.eu_data.destination_cidr_block])))
  }
}
