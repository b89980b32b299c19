"""The chapters of the tour: each step takes the stage and proves its claims on real parts."""
