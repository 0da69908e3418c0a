"""From a source to a model that answers: check each file, open its session, put it together.

Nothing is parsed before it was hashed, and no model is handed out before every byte that it holds
was compared with the signed statement or the cache's seal.
"""
