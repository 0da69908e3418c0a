"""The air-gapped side: importer, store, audit, engine, api."""
