"""md-raid: does Linux md RAID over iSCSI scale with volumes and servers?

Three storage servers export five volumes each; one client mirrors them three ways (md1 to md5, a leg on
each server) and stripes over the mirrors (md99).
"""
