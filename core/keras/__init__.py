"""Keras files: their config checked and brought up to date, then a module on its torch backend."""
