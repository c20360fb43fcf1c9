"""An Azure IoT Edge module for on-device vision that sends upstream only what it doubts."""
