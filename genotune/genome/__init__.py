"""The ground that everything stands on: intervals, contig names, sequence, splits. Plain Python and numpy only."""
