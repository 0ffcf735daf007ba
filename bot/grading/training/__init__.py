"""Makes the encoder's weights file from published weights and our own rubrics; tuning needs torch."""
