"""HDC on dense tables in double precision, each equation a loop over its definition."""

import numpy as np

FAR = 1 - np.exp(-1.0)


def euler(vectors):
    return np.exp(1.9j * np.pi * vectors.astype(np.float64)) / np.sqrt(2)


def released_distances(vectors, centroids):
    z, c = euler(vectors), euler(centroids)
    table = np.abs((z**2).sum(axis=1)[:, None] + (c**2).sum(axis=1) - 2 * z @ c.T)
    return np.where(table < 1e-12, 0, table)


def paper_distances(vectors, centroids):
    x, c = vectors.astype(np.float64)[:, None], centroids[None]
    return (1 - np.cos(1.9 * np.pi * (x - c))).sum(axis=2)


def similarities(vectors, centroids, kind):
    if kind == "paper":
        return np.exp(-paper_distances(vectors, centroids))
    table = released_distances(vectors, centroids)
    return np.exp(-5 * table / (table.max() or 1))


def harmonic_discrepancies(distances, similarity, labels, n_clusters):
    """(N, K) HD, Eq. 8 and 9."""
    table = np.empty((len(labels), n_clusters))
    for i in range(len(labels)):
        for k in range(n_clusters):
            best = -1.0
            for x in np.flatnonzero(labels == k):
                d, sim = 1 - np.exp(-np.float64(distances[i, x])), similarity[x, k]
                if 2 * d * sim / (d + sim) > best:
                    best, table[i, k] = 2 * d * sim / (d + sim), d
    return table


def assign(table, labels):
    """Eq. 10 and 11, with the rule for equal ones."""
    found = table.argmin(axis=1)
    rows = np.arange(len(labels))
    found = np.where(table[rows, labels] == table.min(axis=1), labels, found)
    nearness = np.rint((FAR - table) * 2**40)
    lowest = np.argsort(nearness[rows, found] - nearness.sum(axis=1), kind="stable")
    for empty in sorted(set(range(table.shape[1])) - set(found.tolist())):
        sizes = np.bincount(found, minlength=table.shape[1])
        least = 5 if sizes.max() >= 5 else 2
        found[next(i for i in lowest if sizes[found[i]] >= least)] = empty
    return found


def peripheral(table, labels):
    own, found = table[np.arange(len(labels)), labels], np.zeros(len(labels), bool)
    for k in set(labels):
        members = own[labels == k]
        spread = members.std(ddof=1) if len(members) > 1 else np.inf
        found[labels == k] = members > members.mean() + spread
    return found


def hdc(distances, vectors, seeds, iterations, kind):
    """Labels, peripheral objects and squared centroid shift after each iteration."""
    exact = vectors.astype(np.float64)
    labels = distances[:, seeds].argmin(axis=1)
    labels[seeds] = np.arange(len(seeds))
    centroids = exact[seeds]
    for _ in range(iterations):
        similarity = similarities(exact, centroids, kind)
        table = harmonic_discrepancies(distances, similarity, labels, len(seeds))
        labels = assign(table, labels)
        outside = peripheral(table, labels)
        groups = [(labels == k) & ~outside for k in range(len(seeds))]
        before, centroids = centroids, np.stack([exact[g].mean(axis=0) for g in groups])
        yield labels, outside, ((centroids - before) ** 2).sum()


def kmeans_plus_plus(distances, n_seeds, rng):
    """Greedy k-means++ on a table of distances, the distance its potential."""
    n, trials = len(distances), 2 + int(np.log(n_seeds))
    seeds = [int(rng.integers(n))]
    while len(seeds) < n_seeds:
        nearest = distances[:, seeds].min(axis=1).astype(np.float64)
        if not nearest.any():
            return seeds + [i for i in range(n) if i not in seeds][: n_seeds - len(seeds)]
        draws = rng.random(trials) * nearest.sum()
        candidates = [int(np.argmax(np.cumsum(nearest) > draw)) for draw in draws]
        left = [np.minimum(nearest, distances[:, c]).sum(dtype=np.float64) for c in candidates]
        seeds.append(candidates[int(np.argmin(left))])
    return seeds
