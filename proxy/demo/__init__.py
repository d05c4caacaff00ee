"""``orchtax demo``: real SDK agents, a scripted model provider and tool servers, all on loopback, through the proxy.

Nothing here is imported by the proxy itself. ``provider.py`` and ``tool_server.py`` are processes of their own;
``fleets/`` are the agents, ``scripts/`` what the models answer them, ``texts/`` the words; ``run.py`` puts on the show.
"""
