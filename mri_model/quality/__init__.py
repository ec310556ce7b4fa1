"""What is wrong with a data set: one module per check, the report they make up, and the page.

A check is a subclass of ``check.Check``: its fields are its measurement, its ``issues`` put it into words. To add one,
write a module and add one line to ``report.Checks``.
"""
