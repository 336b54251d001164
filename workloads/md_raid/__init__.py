"""md-raid: does Linux md RAID over iSCSI scale with volumes and servers?

Two to eight storage servers export the same number of volumes each; one client mirrors them (md1, md2, …, a leg on each
server) and stripes over the mirrors (md99). The original had three servers with five volumes each.
"""
