"""Tables for the tests of the command line."""

import csv

import numpy as np


def write_csv(path, columns, separator=","):
    """Write columns, a dict of lists in which None is an empty field."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=separator)
        writer.writerow(columns)
        rows = zip(*columns.values(), strict=True)
        writer.writerows([["" if value is None else value for value in row] for row in rows])


def passengers(n=240, seed=0):
    """Columns of every kind with missing values, names and an id; most of Survived is known."""
    random = np.random.default_rng(seed)
    sex = random.choice(["female", "male"], n)
    age = np.round(random.normal(30, 12, n).clip(1, 80), 1)
    deck = random.choice(["A", "B", "C", ""], n)
    survived = ((sex == "female") ^ (random.random(n) < 0.05)).astype(int)

    def holes(values, share):
        return [None if random.random() < share else value for value in values]

    return {
        "PassengerId": [f"id {k:04}" for k in range(n)],
        "Survived": survived.tolist(),
        "Name": [f"Ms. {k} O'Hara, Ännchen" for k in range(n)],
        "Sex": sex.tolist(),
        "Age": holes(age.tolist(), 0.2),
        "Deck": [each or None for each in deck],
        "Married": holes(["True", "False"] * (n // 2), 0.1),
    }


def houses(n=200, seed=0):
    """Two columns of numbers, one of text and a price that follows from them."""
    random = np.random.default_rng(seed)
    area, rooms = random.uniform(30, 200, n).round(1), random.integers(1, 7, n)
    town = random.choice(["Oslo", "Rome", "Lima"], n)
    price = 1000 * area + 5000 * rooms + np.where(town == "Oslo", 90_000, 0)
    return {
        "area": area.tolist(),
        "rooms": rooms.tolist(),
        "town": town.tolist(),
        "price": price.round(2).tolist(),
    }
