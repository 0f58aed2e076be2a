"""An actor's bundle as the folder that the released code of UA-3DTalk reads."""
