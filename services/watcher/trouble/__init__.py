"""What Kubernetes itself knows to be wrong, as alerts with a life. One small file a kind of trouble, pure functions."""
