"""Grafana dashboards as code: the same bytes every time, committed in `docker/grafana/`.

`model.py` says what a dashboard is, `render.py` turns one into Grafana's JSON, one module a
dashboard holds its questions, `catalogue.py` lists them, `push.py` brings them to a server.
"""
