"""Makes the encoder's weights file from published weights and our own rubrics; needs torch for all but plain conversion."""
