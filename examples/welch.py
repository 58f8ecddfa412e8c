"""A design that SciPy analyses: Welch's t-test of two arms, simulated in NumPy, certified over a region.

    python examples/welch.py

The design is an `ArrayModel`: one function that returns the statistics of many trials. `uniforms` makes the randomness
that certificates need: the same for every parameter value, other for another seed.
"""

import numpy as np
from scipy.special import ndtri
from scipy.stats import ttest_ind

import adagrid as ada


class Welch(ada.ArrayModel):
    """One-sided p-value of Welch's t-test that the treatment's mean is above the control's; small values reject."""

    def __init__(self, patients: int) -> None:
        self.patients = patients
        # what the data are: normal with standard deviation 1, which the t-test does not know
        self.family = ada.Normal(sd=1.0, n=(patients, patients))

    def simulate(self, begin: int, end: int, theta: np.ndarray, null_truth: np.ndarray) -> np.ndarray:
        """Return p-values, shape (points, end - begin)."""
        noise = ndtri(self.uniforms(begin, end, 2 * self.patients))
        control, treatment = noise[:, : self.patients], noise[:, self.patients :]
        return np.stack(
            [
                ttest_ind(
                    treatment + means[1], control + means[0], axis=1, equal_var=False, alternative="greater"
                ).pvalue
                for means in theta
            ]
        )


def main() -> None:
    """Certify that the test with ten patients per arm keeps 5%, for means between -0.5 and 0.5."""
    grid = ada.cartesian_grid([-0.5, -0.5], [0.5, 0.5], n=1, null_hypos=["theta1 <= theta0"])
    run = ada.ada_validate(Welch(10), threshold=0.05, grid=grid, max_target=0.004, global_target=0.01)
    print(run.summary())


if __name__ == "__main__":
    main()
