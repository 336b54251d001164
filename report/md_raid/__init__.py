"""md-raid: does Linux md scale to 10 Gbit/s over iSCSI, and does it survive the loss of two servers?"""
