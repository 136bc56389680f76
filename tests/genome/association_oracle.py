"""Association variant by variant, by least squares and Newton's method on the samples whose genotype is known."""

import math

import numpy as np
from scipy import stats


def linear(variant, trait, covariates):
    """Effect, standard error and p of one variant; NaN dosages and traits are left out."""
    design, outcome = design_of(variant, trait, covariates)
    inverse = np.linalg.inv(design.T @ design)
    coefficients = inverse @ design.T @ outcome
    df = len(outcome) - design.shape[1]
    residual = outcome - design @ coefficients
    error = math.sqrt(residual @ residual / df * inverse[-1, -1])
    return coefficients[-1], error, 2 * stats.t.sf(abs(coefficients[-1] / error), df)


def wald(variant, trait, covariates):
    """Effect, standard error and p of one variant in its own logistic model."""
    design, outcome = design_of(variant, trait, covariates)
    coefficients, information = newton(design, outcome)
    error = math.sqrt(np.linalg.inv(information)[-1, -1])
    return coefficients[-1], error, 2 * stats.norm.sf(abs(coefficients[-1] / error))


def score(variant, trait, covariates):
    """p of the score test of a variant without missing genotypes."""
    design, outcome = design_of(variant, trait, covariates)
    null, _ = newton(design[:, :-1], outcome)
    chance = 1 / (1 + np.exp(-design[:, :-1] @ null))
    slope = design.T @ (outcome - chance)
    information = design.T @ (design * (chance * (1 - chance))[:, None])
    return stats.chi2.sf(slope @ np.linalg.solve(information, slope), 1)


def design_of(variant, trait, covariates):
    known = ~np.isnan(variant) & ~np.isnan(trait)
    columns = [np.ones(known.sum()), covariates[known].astype(np.float64), variant[known]]
    return np.column_stack(columns), trait[known]


def newton(design, outcome):
    coefficients = np.zeros(design.shape[1])
    for _ in range(60):
        chance = 1 / (1 + np.exp(-design @ coefficients))
        information = design.T @ (design * (chance * (1 - chance))[:, None])
        coefficients += np.linalg.solve(information, design.T @ (outcome - chance))
    return coefficients, information
