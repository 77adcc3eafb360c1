"""PromQL: an expression parsed behind guards, as our own tree, evaluated on columns of label codes and values."""
