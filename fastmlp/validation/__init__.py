"""What users pass: checked, and converted to the arrays that the kernels read."""
