"""hnswlib and faiss on vectors that `kefu-bench vectors` wrote: recall@10 and questions per second on one thread.

    python bench/vectors.py FOLDER WIDTH ROUNDS

Needs numpy, hnswlib and faiss-cpu. Each gets the smallest search width of a list with which its recall is at least 0.995,
so that speed is compared at like recall.
"""

import json
import sys
import time
from pathlib import Path

import faiss
import hnswlib
import numpy

NEAREST = 10
WIDTHS = [32, 48, 64, 96, 128, 192, 256, 384]
RECALL = 0.995


def measured(search, set_width, exact, rounds):
    """The first search width that reaches the recall, with the best time of some rounds."""
    for width in WIDTHS:
        set_width(width)
        best, found = float("inf"), None
        for _ in range(rounds):
            started = time.perf_counter()
            found = search()
            best = min(best, time.perf_counter() - started)
        right = sum(len(set(row) & set(true)) for row, true in zip(found, exact))
        recall = right / exact.size
        if recall >= RECALL or width == WIDTHS[-1]:
            return {"recall_at_10": recall, "per_s": round(len(exact) / best, 2), "search_width": width}


def main():
    folder, width, rounds = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    vectors = numpy.fromfile(folder / "vectors", dtype="<f4").reshape(-1, width)
    questions = numpy.fromfile(folder / "questions", dtype="<f4").reshape(-1, width)
    exact = numpy.fromfile(folder / "exact", dtype="<u4").reshape(-1, NEAREST)

    of_hnswlib = hnswlib.Index(space="ip", dim=width)
    of_hnswlib.init_index(max_elements=len(vectors), ef_construction=128, M=16)
    of_hnswlib.set_num_threads(1)
    of_hnswlib.add_items(vectors)
    first = measured(lambda: of_hnswlib.knn_query(questions, k=NEAREST)[0], of_hnswlib.set_ef, exact, rounds)
    del of_hnswlib

    faiss.omp_set_num_threads(1)
    of_faiss = faiss.IndexHNSWFlat(width, 32, faiss.METRIC_INNER_PRODUCT)
    of_faiss.hnsw.efConstruction = 128
    of_faiss.add(vectors)

    def set_width(value):
        of_faiss.hnsw.efSearch = value

    second = measured(lambda: of_faiss.search(questions, NEAREST)[1], set_width, exact, rounds)
    print(json.dumps({"hnswlib": first, "faiss": second}))


main()
