"""Containers: one Dockerfile for both images, a compose file for one machine, and the steps these need in Python."""
