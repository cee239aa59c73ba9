"""Supervised links to cameras: reconnecting, newest-frame slots, in-order subscriptions, statistics."""
