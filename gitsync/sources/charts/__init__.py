"""A release's chart, as a ``chart.ChartArtifact``.

``helmchart`` builds charts of folders in a tree, with ``dependencies`` (folders of the same tree) and ``remote``
ones (of chart repositories); ``treefiles`` reads folders, ``valuesfiles`` are default values from other files.
``commitcharts`` finds HelmCharts as a commit would have them, ``charttree`` has the files of charts as trees.
"""
