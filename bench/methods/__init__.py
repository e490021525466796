"""Compares methods, the values of one choice: each is tuned with the same budget, then confirmed on fresh seeds.

Tuning one method more than another decides many published comparisons (Sivaprasad et al. 2020, "Optimizer Benchmarking
Needs to Account for Hyperparameter Tuning"; Dahl et al. 2023, "Benchmarking Neural Network Training Algorithms").
"""
