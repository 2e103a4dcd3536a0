"""The plant's connectors: verdicts out to MQTT, webhook, Modbus TCP and OPC UA, and frames in by MQTT."""
