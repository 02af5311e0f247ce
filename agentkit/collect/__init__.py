"""What passes through production: captured, judged, and turned into the next round."""
