output "arn" {
  description = "The cluster."
  value       = aws_msk_cluster.this.arn
}

output "name" {
  description = "The cluster's name, as CloudWatch has it."
  value       = aws_msk_cluster.this.cluster_name
}

output "address" {
  description = "What a DUTCHBOOK_KAFKA_* setting says: brokers that are spoken to with IAM."
  value       = "iam://${aws_msk_cluster.this.bootstrap_brokers_sasl_iam}"
}

output "security_group_id" {
  description = "The brokers' security group."
  value       = aws_security_group.brokers.id
}

output "broker_count" {
  description = "How many brokers there are; their ids run from 1."
  value       = var.brokers.count
}

output "has_storage" {
  description = "Whether the brokers have disks that can fill."
  value       = !local.express
}

output "enhanced_monitoring" {
  description = "Which metrics CloudWatch gets."
  value       = var.enhanced_monitoring
}

output "settings" {
  description = "The brokers' settings, as they stand in the cluster's configuration."
  value       = { for line in split("\n", aws_msk_configuration.this.server_properties) : split("=", line)[0] => split("=", line)[1] }
}

output "cluster" {
  description = "What the cluster is made of, for tests: version, brokers, authentication, encryption, logging."
  value = {
    kafka_version  = aws_msk_cluster.this.kafka_version
    subnets        = length(var.network.subnet_ids)
    brokers        = aws_msk_cluster.this.number_of_broker_nodes
    public_access  = aws_msk_cluster.this.broker_node_group_info[0].connectivity_info[0].public_access[0].type
    authentication = aws_msk_cluster.this.client_authentication[0]
    encryption     = aws_msk_cluster.this.encryption_info[0]
    broker_logs    = aws_msk_cluster.this.logging_info[0].broker_logs[0].cloudwatch_logs[0].enabled
    storage = {
      at_first = one(aws_msk_cluster.this.broker_node_group_info[0].storage_info[*].ebs_storage_info[0].volume_size)
      at_most  = one(aws_appautoscaling_target.storage[*].max_capacity)
    }
  }
}

output "ingress" {
  description = "Every rule of the brokers' security group, for tests."
  value = concat(
    [for name, rule in aws_vpc_security_group_ingress_rule.clients : {
      from = name, cidr = rule.cidr_ipv4, security_group_id = rule.referenced_security_group_id, ports = [rule.from_port, rule.to_port]
    }],
    [{
      from              = "remote_mirror"
      cidr              = aws_vpc_security_group_ingress_rule.remote_mirror.cidr_ipv4
      security_group_id = aws_vpc_security_group_ingress_rule.remote_mirror.referenced_security_group_id
      ports             = [aws_vpc_security_group_ingress_rule.remote_mirror.from_port, aws_vpc_security_group_ingress_rule.remote_mirror.to_port]
    }],
  )
}
