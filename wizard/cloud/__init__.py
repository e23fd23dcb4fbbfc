"""AWS, real and practised: credentials, snapshot upload, images, clean up.  The only place that imports boto3."""
