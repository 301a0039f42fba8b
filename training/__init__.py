"""How a model comes to be: corpora, encoder, fine-tuning, calibration, evaluation, export."""
