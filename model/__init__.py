"""What a comment means: taxonomy, text, network, engine, classifier, routing, artefacts."""
