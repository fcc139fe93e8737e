"""Unpaired photo ↔ anime translators: networks, losses, variants, training engine, weights.

Pure PyTorch: nothing here knows DVC, MLflow or where the data lives.
"""
